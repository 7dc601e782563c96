"""What cells do: each kind of task is a function of the cell's inputs and a folder for what is to be kept.

It returns an :class:`~cloudboot_fleet.tasks.result.Outcome`, runs in a process apart from the worker, and may be killed
at any moment.
"""
