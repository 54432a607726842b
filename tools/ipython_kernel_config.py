# A local kernel warns about unencrypted TCP at every start; only errors are of interest to a build.
c.IPKernelApp.log_level = 40  # noqa: F821
