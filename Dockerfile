# One image, the roles are subcommands of `onair`.
ARG BASE=docker.io/library/python:3.12-slim-bookworm
FROM ${BASE} AS build
WORKDIR /src
COPY . .
RUN python3 -m venv /opt/onair && /opt/onair/bin/pip install --no-cache-dir '.[media,operator]'

FROM ${BASE}
COPY --from=build /opt/onair /opt/onair
ENV PATH=/opt/onair/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN mkdir /data && chown 10001:10001 /data
USER 10001:10001
WORKDIR /data
EXPOSE 5222 8080
ENTRYPOINT ["onair"]
CMD ["--help"]
