# The service with a CPU build of PyTorch and the models of checkpoints/.
#
#     docker build -t softalign .
#     docker run --rm -p 127.0.0.1:8000:8000 -e SOFTALIGN_ALLOW_ANONYMOUS=true -v softalign:/srv/softalign/data softalign
#
# Without SOFTALIGN_ALLOW_ANONYMOUS it needs a key: docker run … softalign python -m app keys create --owner me
#
# For a GPU, or where the CPU index cannot be reached: --build-arg TORCH_INDEX=https://… PyTorch's builds differ by
# index and processor, so its digest is not in the lock file: --build-arg TORCH_SHA256=… pins it as well.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS builder
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_VERSION=2.13.0
ARG TORCH_SHA256=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# Without pip in it, the environment holds nothing that could install more at run time.
RUN python -m venv --without-pip /opt/softalign
WORKDIR /build

# From the layer that changes least to the one that changes most. PyTorch's own dependencies are in the
# lock file, hence --no-deps: nothing enters the image that has no version written down.
RUN printf 'torch==%s%s\n' "${TORCH_VERSION}" "${TORCH_SHA256:+ --hash=sha256:${TORCH_SHA256}}" >torch.txt \
    && pip --python /opt/softalign/bin/python install --no-deps --index-url "${TORCH_INDEX}" -r torch.txt
COPY deploy/requirements.lock ./
RUN pip --python /opt/softalign/bin/python install --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY model model
COPY training training
RUN pip --python /opt/softalign/bin/python install --no-deps . \
    # What is only there to compile extensions and to test PyTorch itself: a quarter of its size.
    && rm -rf /opt/softalign/lib/python3.*/site-packages/torch/include \
        /opt/softalign/lib/python3.*/site-packages/torch/test \
        /opt/softalign/lib/python3.*/site-packages/torch/bin/*test*

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Softalign" \
    org.opencontainers.image.description="A translation service that shows its work" \
    org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/softalign/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    # Metrics and models, inside the container only until SOFTALIGN_ADMIN_HOST says otherwise.
    SOFTALIGN_ADMIN_PORT=8001
RUN groupadd --gid 10001 softalign \
    && useradd --uid 10001 --gid softalign --no-create-home --home-dir /tmp \
        --shell /usr/sbin/nologin softalign
COPY --from=builder /opt/softalign /opt/softalign
WORKDIR /srv/softalign
COPY checkpoints checkpoints
RUN install --directory --owner 10001 --group 10001 --mode 0700 data
VOLUME /srv/softalign/data
USER 10001:10001
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=3s --start-period=5m --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["python", "-m", "app", "serve", "--host", "0.0.0.0"]
