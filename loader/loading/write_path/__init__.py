"""Line protocol into any bucket, acknowledged body by body."""
