"""The person's door: `python starter.py --strategy RSI_Reversal`; `--help` tells the rest."""

from cli.main import main

if __name__ == "__main__":
    main()
