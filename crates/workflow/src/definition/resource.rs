//! What a Task state has done: its `Resource`.

/// A resource, by what the history writes for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A function: `arn:…:lambda:…:function:NAME`.
    Function {
        /// The whole name.
        arn: String,
    },
    /// Workers that ask for work: `arn:…:states:…:activity:NAME`.
    Activity {
        /// The whole name.
        arn: String,
    },
    /// A call of a service: `arn:…:states:::SERVICE:ACTION`.
    Service {
        /// The service, as `sqs` or `aws-sdk:s3`.
        service: String,
        /// The action without its pattern, as `sendMessage`.
        action: String,
        /// What is waited for.
        waiting: Waiting,
    },
}

/// What the state waits for after its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The response.
    Response,
    /// The end of the job: `.sync`.
    Job,
    /// The end of the job, its output as JSON: `.sync:2`.
    JobJson,
    /// Whoever has the token: `.waitForTaskToken`.
    Token,
}

impl Waiting {
    /// How a resource is marked with it.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Response => "",
            Self::Job => ".sync",
            Self::JobJson => ".sync:2",
            Self::Token => ".waitForTaskToken",
        }
    }
}

/// Services with a form of their own, and their actions; all others are called `aws-sdk:…`.
const OPTIMISED: &[(&str, &[&str])] = &[
    ("apigateway", &["invoke"]),
    (
        "athena",
        &["startQueryExecution", "stopQueryExecution", "getQueryExecution", "getQueryResults"],
    ),
    ("batch", &["submitJob"]),
    ("bedrock", &["invokeModel", "createModelCustomizationJob"]),
    (
        "codebuild",
        &[
            "startBuild",
            "stopBuild",
            "batchDeleteBuilds",
            "batchGetReports",
            "startBuildBatch",
            "stopBuildBatch",
            "retryBuildBatch",
            "deleteBuildBatch",
        ],
    ),
    ("databrew", &["startJobRun"]),
    ("dynamodb", &["getItem", "putItem", "deleteItem", "updateItem"]),
    ("ecs", &["runTask"]),
    (
        "eks",
        &["createCluster", "createNodegroup", "deleteCluster", "deleteNodegroup", "runJob", "call"],
    ),
    (
        "elasticmapreduce",
        &[
            "createCluster",
            "terminateCluster",
            "addStep",
            "cancelStep",
            "setClusterTerminationProtection",
            "modifyInstanceFleetByName",
            "modifyInstanceGroupByName",
        ],
    ),
    ("emr-containers", &["createVirtualCluster", "deleteVirtualCluster", "startJobRun"]),
    (
        "emr-serverless",
        &[
            "createApplication",
            "startApplication",
            "stopApplication",
            "deleteApplication",
            "startJobRun",
            "cancelJobRun",
        ],
    ),
    ("events", &["putEvents"]),
    ("glue", &["startJobRun"]),
    ("http", &["invoke"]),
    ("lambda", &["invoke"]),
    ("mediaconvert", &["createJob"]),
    (
        "sagemaker",
        &[
            "createEndpoint",
            "createEndpointConfig",
            "createHyperParameterTuningJob",
            "createLabelingJob",
            "createModel",
            "createProcessingJob",
            "createTrainingJob",
            "createTransformJob",
            "updateEndpoint",
        ],
    ),
    ("sns", &["publish"]),
    ("sqs", &["sendMessage"]),
    ("states", &["startExecution"]),
];

impl Resource {
    /// Reads a resource. `None` if there is no such thing.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [_, _, service, _, account, rest] = parts.as_slice() else { return None };
        match (*service, *account) {
            ("lambda", _) if rest.starts_with("function:") => {
                Some(Self::Function { arn: text.to_owned() })
            }
            ("states", "") => Self::service(rest),
            ("states", _) if rest.starts_with("activity:") => {
                Some(Self::Activity { arn: text.to_owned() })
            }
            _ => None,
        }
    }

    fn service(rest: &str) -> Option<Self> {
        let all = [Waiting::JobJson, Waiting::Job, Waiting::Token];
        let found = all.into_iter().find_map(|w| Some((rest.strip_suffix(w.suffix())?, w)));
        let (bare, waiting) = found.unwrap_or((rest, Waiting::Response));
        let (service, action) = bare.rsplit_once(':')?;
        let known = match OPTIMISED.iter().find(|(name, _)| *name == service) {
            Some((_, actions)) => actions.contains(&action),
            None => service.starts_with("aws-sdk:") && !action.is_empty(),
        };
        let (service, action) = (service.to_owned(), action.to_owned());
        known.then_some(Self::Service { service, action, waiting })
    }

    /// The resource as a definition names it.
    pub fn arn(&self) -> String {
        match self {
            Self::Function { arn } | Self::Activity { arn } => arn.clone(),
            Self::Service { service, action, waiting } => {
                format!("arn:aws:states:::{service}:{action}{}", waiting.suffix())
            }
        }
    }

    /// What the history calls it: `resource` and, for services, `resourceType`.
    pub fn shown(&self) -> (String, Option<&str>) {
        match self {
            Self::Function { arn } | Self::Activity { arn } => (arn.clone(), None),
            Self::Service { service, action, waiting } => {
                (format!("{action}{}", waiting.suffix()), Some(service))
            }
        }
    }

    /// What it waits for that an execution of five minutes cannot: somebody outside. The product's
    /// own tasks are done here; only an approval is a person's.
    pub fn outlasting(&self) -> Option<String> {
        let own = |name: &str| name.starts_with("groundcrew.") && name != "groundcrew.approval";
        match self {
            Self::Function { .. } | Self::Service { waiting: Waiting::Response, .. } => None,
            Self::Service { waiting, .. } => {
                Some(format!("the '{}' service integration", waiting.suffix()))
            }
            Self::Activity { arn } => match arn.split_once(":activity:") {
                Some((_, name)) if own(name) => None,
                _ => Some(format!("the activity {arn}")),
            },
        }
    }

    /// Whether somebody outside holds a token for it.
    pub fn has_token(&self) -> bool {
        match self {
            Self::Service { waiting, .. } => *waiting == Waiting::Token,
            Self::Activity { .. } => true,
            Self::Function { .. } => false,
        }
    }
}
