"""What the firmware keeps: memory, handles, events, images, variables, and the console."""
