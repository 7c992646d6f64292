"""`python -m missed_moment` is the `missed-moment` command."""

from missed_moment.cli import main

if __name__ == "__main__":
    main()
