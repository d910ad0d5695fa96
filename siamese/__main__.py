"""python -m siamese: the console command, see siamese/commands/console.py."""

from siamese.commands.console import main

if __name__ == "__main__":
    main()
