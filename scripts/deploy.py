"""Deploy the contracts to the chain behind RPC_URL: the same as `issuer deploy`, for those who look for a script."""

import sys

from issuer.cli import run

if __name__ == "__main__":
    sys.exit(run(["deploy", *sys.argv[1:]]))
