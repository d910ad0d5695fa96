# A server of one detector, in a small image. From the folder that holds this checkout and the detector's folder, FOLDER:
#   docker build -f experiments/serve.Dockerfile --build-arg DETECTOR=FOLDER -t duplicates .
#   docker run --rm -p 127.0.0.1:5002:5002 duplicates
# The server asks nobody for a password: publish its port to those alone who may ask.
FROM python:3.11-slim AS build
COPY . /source
RUN python3.11 -m venv /venv
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --constraint /source/requirements.txt '/source[serve]'
RUN /venv/bin/pip uninstall --yes --disable-pip-version-check setuptools pip

FROM python:3.11-slim
ARG DETECTOR
COPY --from=build /venv /venv
COPY ${DETECTOR} /detector
USER nobody
EXPOSE 5002
HEALTHCHECK CMD ["/venv/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:5002/health')"]
CMD ["/venv/bin/siamese", "serve", "run=/detector", "host=0.0.0.0", "port=5002"]
