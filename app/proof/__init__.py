"""What others check us with: checkpoints, keys, anchors, receipts, bundles."""
