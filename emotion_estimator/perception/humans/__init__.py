"""What REP-155 (ROS4HRI) tells about a face, from what the estimator knows of it."""
