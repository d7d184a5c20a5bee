"""Side-by-side measurements; each prints ratios from paired rounds of one run. `make bench`."""
