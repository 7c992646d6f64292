"""Ansible's callback plugins that tests use."""
