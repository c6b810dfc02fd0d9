"""What a trainer needs of the store: whole batches, tables on a device, and tools that know the noise."""
