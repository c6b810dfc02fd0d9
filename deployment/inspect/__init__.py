"""What people look at: costs, ledgers, releases and their verification."""
