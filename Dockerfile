# The container that the Snakefile names: docker build -t lookalike:0.1.0 .
# The CUDA libraries come with torch's wheels; the host needs its NVIDIA driver only.
FROM python:3.11-slim
WORKDIR /opt/lookalike
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY workflow workflow
RUN pip install --no-cache-dir --constraint requirements.lock --editable '.[demo]'
