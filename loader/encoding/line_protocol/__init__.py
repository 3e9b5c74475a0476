"""Line protocol, written from record batches and read back; pure, with no input or output."""
