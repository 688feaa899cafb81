"""The likelihoods by name, each a module of this folder.

To add one, write its module and put its name here, the only other place that knows of it. Nothing
is imported, so that the command line can read the names long before JAX is loaded.
"""

# the first is the default, and the first four are what is compared unless others are named
NAMES = (
    "general_robust",
    "contaminated",
    "student_t",
    "normal",
    "laplace",
    "cauchy",
    "asymmetric_general_robust",
)

CONTAMINATED = "contaminated"
"""the one that expects some rows to be from elsewhere, with which every fit is compared"""
