"""Where sessions run: `base` is the contract, each module beside it a kind of backend."""
