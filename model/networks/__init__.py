"""Networks: the contract, blocks, losses and the sequence models made of them."""
