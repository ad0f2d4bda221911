"""What was used: the records that the data plane writes, and the questions asked of them."""
