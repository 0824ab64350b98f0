"""Published schemas of SparkApplication, made smaller; see README.md of this folder."""
