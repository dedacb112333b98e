FROM node:24-trixie-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build -- --no-types

FROM node:24-trixie-slim
WORKDIR /app
COPY --from=build /build/package.json /build/LICENSE-MIT /build/LICENSE-APACHE ./
COPY --from=build /build/bin ./bin
COPY --from=build /build/dist ./dist
COPY --from=build /build/scripts/healthcheck.mjs ./
# The home exists and is the user's own before it becomes a volume: a fresh named volume takes over its owner.
RUN ln -s /app/bin/pinsub.cjs /usr/local/bin/pinsub && install -d -m 700 -o node -g node /home/node/.pinsub
ENV NODE_ENV=production PINSUB_HOME=/home/node/.pinsub
USER node
WORKDIR /home/node
VOLUME /home/node/.pinsub
EXPOSE 4101/tcp
HEALTHCHECK --interval=30s --timeout=10s --start-period=15s --retries=3 CMD ["node", "/app/healthcheck.mjs"]
ENTRYPOINT ["pinsub"]
CMD ["node"]
