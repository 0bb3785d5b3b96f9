"""What pytest leaves out here: code that runs inside Sphinx. The pages themselves are doctests."""

collect_ignore = ["conf.py", "_ext"]
