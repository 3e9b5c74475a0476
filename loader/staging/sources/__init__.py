"""What files of others hold, made points in the form that is sorted."""
