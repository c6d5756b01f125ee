"""recloop: session-fresh recommendations from a jar-less Python job on Apache Flink."""

from pathlib import Path

from setuptools import find_packages, setup

_ROOT = Path(__file__).parent


def _requirements(name: str) -> list[str]:
    lines = (_ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    return [bare for line in lines if (bare := line.split("#")[0].strip())]


setup(
    name="recloop",
    version="0.1.0",
    description="Session-fresh recommendations from a jar-less Python job on Apache Flink",
    long_description=(_ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["job*", "udfs*", "model*"]),
    package_data={
        "job.drills": ["shifted_clock.c"],
        "job.page": ["templates/*", "static/*", "static/vendor/*/*"],
    },
    install_requires=_requirements("base"),
    extras_require={name: _requirements(name) for name in ("models", "pictures", "serve")},
    entry_points={"console_scripts": ["recloop=job.cli:main"]},
)
