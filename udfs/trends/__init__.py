"""The operator find-trends and the decayed sums it keeps."""
