# The operator's image: one static program, nothing else, as nobody.
#
#	docker build --build-arg VERSION=$(git describe --tags --always) -t kubernaut .
FROM golang:1.26 AS build
ARG VERSION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY config config
COPY internal internal
COPY pkg pkg
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /kubernaut ./cmd/kubernaut

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /kubernaut /kubernaut
USER 65532:65532
ENTRYPOINT ["/kubernaut"]
