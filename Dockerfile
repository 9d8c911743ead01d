# One image for the API and the worker:
#   docker build -t teamrun .
#   docker build -t teamrun --build-arg LOCKS="requirements.lock requirements-clouds.lock" .
# The second one can also use Amazon Bedrock and Entra ID.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-bookworm AS build
ARG LOCKS=requirements.lock
WORKDIR /build
COPY requirements*.lock ./
# Only wheels: nothing is compiled, and nothing runs code of a package. The locks are complete.
RUN set -eu; for lock in ${LOCKS}; do \
      python -m pip install --no-cache-dir --no-compile --disable-pip-version-check --root-user-action=ignore \
        --require-hashes --no-deps --only-binary=:all: --target=/app --requirement="${lock}"; \
    done; rm -rf /app/bin
COPY shared api worker infra /app/
# Unchecked: the files never change, so a start need not compare them with their source.
RUN python -m compileall -q --invalidation-mode=unchecked-hash /app && mkdir /data

FROM python:${PYTHON}-slim-bookworm
COPY --from=build /app /app
# The folder of runs, if they are in no bucket. A new volume there has the same owner.
COPY --from=build --chown=10001:10001 /data /data
ENV PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TEAMRUN_CONFIG=/team/teamrun.yaml \
    TEAMRUN_DATA_DIR=/data
WORKDIR /team
# A number, so that Kubernetes can verify that it is not root.
USER 10001:10001
EXPOSE 8080 9090
# Python is process 1 and receives SIGTERM itself: there is no shell.
ENTRYPOINT ["python", "-m"]
CMD ["teamrun_api", "--host", "0.0.0.0"]
# Of the API; a worker needs one on its metrics port, as in compose.yaml.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=4 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
