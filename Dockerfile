# The application as compose.yaml runs it: the same bootstrap as `make run`, as an ordinary user.
FROM python:3.12-slim
RUN useradd --create-home --uid 10001 mutirao && mkdir /app /data && chown mutirao /app /data
USER mutirao
WORKDIR /app
COPY --chown=mutirao . .
RUN python3 setup_env.py
# Libraries that write to their home write to /tmp; the image itself is read-only.
ENV HOME=/tmp PYTHONUNBUFFERED=1
EXPOSE 8000
ENTRYPOINT ["/app/.venv/bin/mutirao"]
