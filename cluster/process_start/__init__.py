"""On the path of the cluster's processes alone, so that Python runs `sitecustomize` in them."""
