"""Files of distributed state: checkpoints and files of tensors.

What is spread is given by this rank's part and its space (`Stored`); everything else is the same on every rank. Each
rank writes and reads what it holds. What is saved can be loaded again, or is refused before anything is written; an old
file is intact until the new one is whole; and nothing that is read runs as a program.
"""
