"""The privacy lab: attacks on collections that run the real code, each with its defence on and off."""
