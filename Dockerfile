# The demo on a CPU. No test builds this image.
#   docker build -t avsed .
#   docker run --rm --init avsed
# Any other command can be given, such as: docker run --rm --init avsed make test
FROM python:3.12-slim

# DVC needs git, and the history in .git.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /avsed
COPY . .
RUN make install

CMD ["make", "demo"]
