# The gateway alone: locked dependencies with hashes, no tools, no root.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/gateway
COPY deploy/requirements.lock ./deploy/
RUN /opt/gateway/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r deploy/requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY gateway ./gateway
RUN /opt/gateway/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
 && /opt/gateway/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin gateway \
 && install -d -o gateway -g gateway -m 0700 /var/lib/gateway /var/lib/gateway-heads
COPY --from=build /opt/gateway /opt/gateway
COPY policies /opt/policies
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    GATEWAY_POLICIES_DIR=/opt/policies \
    GATEWAY_DATA_DIR=/var/lib/gateway
USER 10001:10001
WORKDIR /var/lib/gateway
EXPOSE 8700
ENTRYPOINT ["gateway"]
CMD ["serve"]
