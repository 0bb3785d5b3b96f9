"""What pytest leaves out here: code that runs when the site is built. The pages themselves are doctests."""

collect_ignore = ["conf.py", "_ext", "gallery", "reference/generated"]
