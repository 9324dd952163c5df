# One image for every service of the stack. EXTRA is gpu, or cpu for a machine without GPUs.
ARG PYTHON_IMAGE=python:3.12.12-slim-trixie
FROM ${PYTHON_IMAGE}
ARG EXTRA=gpu

# CUDA comes with TensorFlow's wheels; the driver comes from the host through the container toolkit.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/opt/cnnctl/bin:$PATH
WORKDIR /app

# The locked versions first: this layer stays when only our own code changes.
COPY requirements-${EXTRA}.lock ./
RUN python3 -m venv /opt/cnnctl && pip install --no-cache-dir --quiet --require-hashes -r requirements-${EXTRA}.lock

COPY pyproject.toml README.md LICENSE ./
COPY cnnctl cnnctl
COPY service service
COPY workers workers
COPY models models
COPY migrations migrations
RUN pip install --no-cache-dir --quiet --no-deps --no-build-isolation .

# Nothing needs root; the folders exist so that volumes mounted on them belong to this user. On the host, whoever
# has the same number may end these processes and replace the API's socket: it must be nobody's.
ARG SERVICE_UID=1000
RUN useradd --create-home --user-group --uid ${SERVICE_UID} cnnctl \
    && mkdir -p /var/lib/cnnctl /datasets /var/cache/cuda \
    && chown -R cnnctl /var/lib/cnnctl /datasets /var/cache/cuda
# Not in the compose files: .env has a variable of this name, the host's folder, and some engines confuse the two.
ENV CNNCTL_DATASETS_DIR=/datasets
# By number: the API has the host's /etc/passwd in place of the image's.
USER ${SERVICE_UID}:${SERVICE_UID}
WORKDIR /var/lib/cnnctl
ENTRYPOINT ["cnnctl"]
CMD ["--help"]
