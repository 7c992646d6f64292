"""The machines that the tests run on."""
