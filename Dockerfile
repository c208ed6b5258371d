# Two images from one build: `redis` (Redis with the module) and `sidecar` (the vstore program).
FROM node:22-bookworm AS build
WORKDIR /vstore
COPY package.json package-lock.json binding.gyp ./
COPY native native
RUN npm ci
COPY tsconfig.json tsconfig.build.json tsconfig.client.json ./
COPY src src
COPY client client
COPY redis redis
RUN npm run build && make -C redis && npm prune --omit=dev

FROM redis:7.4-bookworm AS redis
COPY --from=build /vstore/redis/vstore.so /usr/local/lib/vstore.so
CMD ["redis-server", "--loadmodule", "/usr/local/lib/vstore.so", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=5 CMD redis-cli ping | grep -q PONG

FROM node:22-bookworm-slim AS sidecar
ENV NODE_ENV=production VSTORE_DATA_DIR=/data
WORKDIR /vstore
COPY --from=build /vstore/package.json ./
COPY --from=build /vstore/node_modules node_modules
COPY --from=build /vstore/dist dist
COPY --from=build /vstore/build/Release/vstore.node build/Release/vstore.node
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
# docker stop sends SIGTERM: a last checkpoint, then exit 0.
CMD ["node", "dist/cli.js", "serve"]
