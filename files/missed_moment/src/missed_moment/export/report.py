"""What became of an export."""

from dataclasses import dataclass, field


@dataclass
class Report:
    """What became of the moments of a store; `size` is how many bytes were copied."""

    copied: list[str] = field(default_factory=list)
    already_there: int = 0
    failed: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def trouble(self) -> str:
        """What could not be done, and why; empty when all was."""
        return "; ".join(self.failed)

    def fail(self, message: str) -> None:
        """Add a failure, once."""
        if message not in self.failed:
            self.failed.append(message)


@dataclass(frozen=True)
class Progress:
    """How far the copy is, in bytes."""

    name: str
    done: int
    total: int
