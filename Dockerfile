# One image for every service; docker-compose.yml says which command runs. Not built or run by the tests.
FROM python:3.11-slim AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/metaqore/bin:$PATH
RUN ["python", "-m", "venv", "/opt/metaqore"]
COPY . .
RUN ["pip", "install", "--constraint", "constraints.txt", ".[postgres,ml]"]

FROM python:3.11-slim
RUN ["useradd", "--system", "--uid", "10001", "--create-home", "--home-dir", "/var/lib/metaqore", "metaqore"]
COPY --from=build /opt/metaqore /opt/metaqore
WORKDIR /app
COPY config config
ENV PATH=/opt/metaqore/bin:$PATH PYTHONUNBUFFERED=1 METAQORE_DATA_DIR=/var/lib/metaqore
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "2048", "--blocking-threads-idle-timeout", "30", "--backlog", "2048", "--backpressure", "16384", "--no-ws", "--respawn-failed-workers", "--workers-kill-timeout", "10", "--log-level", "warning", "api.wsgi:app"]
