# docker build -t lookalike:0.1.0 .    From it comes the container that the Snakefile names, see docs/engines.md.
# The host needs its NVIDIA driver and the NVIDIA container toolkit; without a GPU it works on the CPU.
FROM nvidia/cuda:13.0.1-base-ubuntu24.04

RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# torch's wheels bring the CUDA libraries that they were built with.
ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH
WORKDIR /opt/lookalike
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY workflow workflow
RUN python3 -m venv "$VIRTUAL_ENV" \
    && pip install --no-cache-dir --constraint requirements.lock --editable '.[demo,s3]'

# Nothing here needs more rights than a user's.
RUN useradd --create-home lookalike
USER lookalike
