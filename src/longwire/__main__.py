"""`python -m longwire` is the command `longwire`."""

from longwire.cli import main

if __name__ == "__main__":
    main(prog_name="longwire")
