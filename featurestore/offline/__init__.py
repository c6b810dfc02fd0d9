"""The offline store: Parquet files of panes, and the rows of their windows."""
