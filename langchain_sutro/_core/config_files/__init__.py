"""Files of configuration: manifests of Functions, and of decision models."""

from langchain_sutro._core.config_files.files import Place, Problem, load_config
from langchain_sutro._core.config_files.schemas import schema_problems
from langchain_sutro._core.config_files.settings import ManifestSettings

__all__ = ["ManifestSettings", "Place", "Problem", "load_config", "schema_problems"]
