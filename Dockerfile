# One image, the roles are subcommands of `onair`.
ARG BASE=docker.io/library/python:3.12-slim-bookworm

# Where no package index is reached: --build-context wheels=FOLDER --build-arg PIP_NO_INDEX=1
FROM scratch AS wheels

FROM ${BASE} AS build
# pip reads these when they are given. Another index: --build-arg PIP_INDEX_URL=…
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
WORKDIR /src
COPY . .
# Nothing is installed later, so pip stays behind.
RUN --mount=type=bind,from=wheels,target=/wheels \
    python3 -m venv /opt/onair && \
    /opt/onair/bin/pip install --no-cache-dir --disable-pip-version-check --find-links /wheels '.[media,operator]' && \
    /opt/onair/bin/pip uninstall --yes pip setuptools

FROM ${BASE}
COPY --from=build /opt/onair /opt/onair
ENV PATH=/opt/onair/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN mkdir /data && chown 10001:10001 /data
USER 10001:10001
WORKDIR /data
EXPOSE 5222 8080
ENTRYPOINT ["onair"]
CMD ["--help"]
