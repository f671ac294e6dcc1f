//! The gRPC door: the same protocol in protobuf, with the health service of gRPC.

mod budget;
mod infer;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status};

use crate::http::EXTENSIONS;
use crate::inference::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use crate::inference::model_repository_parameter::ParameterChoice;
use crate::inference::{self as proto, model_metadata_response::TensorMetadata};
use crate::refusal::Refusal;
use crate::server::Server;
use crate::tensor::{INPUT, Output};
use crate::version::{Sum, Version};

/// Between two looks whether the server is still ready, for the health service.
const HEALTH: Duration = Duration::from_millis(500);

/// The services as routes, to be served over HTTP/2.
pub(crate) async fn routes(server: Arc<Server>) -> Router {
    let limit = server.limits.body;
    let service = GrpcInferenceServiceServer::new(Door(Arc::clone(&server)))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(limit)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate)
        .send_compressed(CompressionEncoding::Gzip);
    let access = Arc::clone(&server);
    // The interceptor's error is tonic's, whatever its size.
    #[allow(clippy::result_large_err)]
    let let_in = move |request: Request<()>| {
        let authorization = request.metadata().get("authorization");
        match access.access.caller(authorization.map(|value| value.as_bytes())) {
            Ok(()) => Ok(request),
            Err(refusal) => {
                access.metrics.rejected(refusal.reason());
                Err(Status::from(refusal))
            }
        }
    };
    let service = InterceptedService::new(service, let_in);
    let routes = Routes::new(service).add_service(health(Arc::clone(&server)).await).into_axum_router();
    routes.layer(axum::middleware::from_fn_with_state(server, budget::count))
}

/// The standard health service, which follows the server.
async fn health(
    server: Arc<Server>,
) -> tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health> {
    let (reporter, service) = tonic_health::server::health_reporter();
    let follow = async move {
        loop {
            let status = match server.ready() {
                true => tonic_health::ServingStatus::Serving,
                false => tonic_health::ServingStatus::NotServing,
            };
            for service in ["", "inference.GRPCInferenceService"] {
                reporter.set_service_status(service, status).await;
            }
            tokio::time::sleep(HEALTH).await;
        }
    };
    tokio::spawn(follow);
    service
}

struct Door(Arc<Server>);

impl Door {
    fn version(&self, name: &str, version: &str) -> Result<Arc<Version>, Refusal> {
        self.0.library.get(name, Some(version))
    }

    fn admin<T>(&self, request: &Request<T>) -> Result<(), Refusal> {
        let authorization = request.metadata().get("authorization");
        self.0.access.admin(authorization.map(|value| value.as_bytes()))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Door {
    async fn server_live(
        &self,
        _: Request<proto::ServerLiveRequest>,
    ) -> Result<Response<proto::ServerLiveResponse>, Status> {
        Ok(Response::new(proto::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<proto::ServerReadyRequest>,
    ) -> Result<Response<proto::ServerReadyResponse>, Status> {
        Ok(Response::new(proto::ServerReadyResponse { ready: self.0.ready() }))
    }

    async fn model_ready(
        &self,
        request: Request<proto::ModelReadyRequest>,
    ) -> Result<Response<proto::ModelReadyResponse>, Status> {
        let asked = request.into_inner();
        let ready = self.version(&asked.name, &asked.version).is_ok();
        Ok(Response::new(proto::ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<proto::ServerMetadataRequest>,
    ) -> Result<Response<proto::ServerMetadataResponse>, Status> {
        Ok(Response::new(proto::ServerMetadataResponse {
            name: "bgad".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: EXTENSIONS.map(str::to_owned).to_vec(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<proto::ModelMetadataRequest>,
    ) -> Result<Response<proto::ModelMetadataResponse>, Status> {
        let asked = request.into_inner();
        let version = self.version(&asked.name, &asked.version)?;
        let image = TensorMetadata { name: INPUT.to_owned(), datatype: "BYTES".to_owned(), shape: vec![-1] };
        let outputs = Output::ALL.map(|output| TensorMetadata {
            name: output.name().to_owned(),
            datatype: output.datatype().to_owned(),
            shape: output.shape(),
        });
        Ok(Response::new(proto::ModelMetadataResponse {
            versions: self.0.library.versions(&version.model),
            name: version.model.clone(),
            platform: "bgad".to_owned(),
            inputs: vec![image],
            outputs: outputs.to_vec(),
        }))
    }

    async fn model_infer(
        &self,
        request: Request<proto::ModelInferRequest>,
    ) -> Result<Response<proto::ModelInferResponse>, Status> {
        Ok(Response::new(infer::infer(&self.0, request.into_inner()).await?))
    }

    async fn model_config(
        &self,
        request: Request<proto::ModelConfigRequest>,
    ) -> Result<Response<proto::ModelConfigResponse>, Status> {
        let asked = request.into_inner();
        let version = self.version(&asked.name, &asked.version)?;
        let config = proto::ModelConfig {
            name: version.model.clone(),
            platform: "bgad".to_owned(),
            max_batch_size: 0,
            backend: "bgad".to_owned(),
        };
        Ok(Response::new(proto::ModelConfigResponse { config: Some(config) }))
    }

    async fn model_statistics(
        &self,
        request: Request<proto::ModelStatisticsRequest>,
    ) -> Result<Response<proto::ModelStatisticsResponse>, Status> {
        let asked = request.into_inner();
        let versions = match asked.name.is_empty() {
            true => self.0.library.all(),
            false => vec![self.version(&asked.name, &asked.version)?],
        };
        let model_stats = versions.iter().map(|version| statistics(version)).collect();
        Ok(Response::new(proto::ModelStatisticsResponse { model_stats }))
    }

    async fn repository_index(
        &self,
        request: Request<proto::RepositoryIndexRequest>,
    ) -> Result<Response<proto::RepositoryIndexResponse>, Status> {
        let lines = self.0.library.index(request.into_inner().ready).into_iter();
        let models = lines.map(|line| proto::repository_index_response::ModelIndex {
            name: line.name,
            version: line.version,
            state: line.state.to_owned(),
            reason: line.reason,
        });
        Ok(Response::new(proto::RepositoryIndexResponse { models: models.collect() }))
    }

    async fn repository_model_load(
        &self,
        request: Request<proto::RepositoryModelLoadRequest>,
    ) -> Result<Response<proto::RepositoryModelLoadResponse>, Status> {
        self.admin(&request)?;
        let asked = request.into_inner();
        let version = asked.parameters.get("version").and_then(|value| value.parameter_choice.as_ref());
        let version = version.map(|value| match value {
            ParameterChoice::StringParam(version) => version.clone(),
            ParameterChoice::Int64Param(version) => version.to_string(),
            _ => String::new(),
        });
        let (server, name) = (Arc::clone(&self.0), asked.model_name);
        let loaded = tokio::task::spawn_blocking(move || server.library.load(&name, version.as_deref()));
        loaded.await.map_err(|error| Status::internal(format!("loading failed: {error}")))??;
        Ok(Response::new(proto::RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<proto::RepositoryModelUnloadRequest>,
    ) -> Result<Response<proto::RepositoryModelUnloadResponse>, Status> {
        self.admin(&request)?;
        self.0.library.unload(&request.into_inner().model_name)?;
        Ok(Response::new(proto::RepositoryModelUnloadResponse {}))
    }
}

fn statistics(version: &Version) -> proto::ModelStatistics {
    let sum = |sum: &Sum| {
        let (count, ns) = sum.get();
        Some(proto::StatisticDuration { count, ns })
    };
    let usage = &version.usage;
    let images = usage.inference.get().0;
    proto::ModelStatistics {
        name: version.model.clone(),
        version: version.number.to_string(),
        last_inference: usage.last_ms(),
        inference_count: images,
        execution_count: images,
        inference_stats: Some(proto::InferStatistics {
            success: sum(&usage.success),
            fail: sum(&usage.failure),
            queue: sum(&usage.queue),
            compute_input: sum(&usage.input),
            compute_infer: sum(&usage.inference),
            compute_output: None,
        }),
    }
}
