//! What comes to a knowledge base by itself: documents that are pushed, and notices.

use knowledge::source::{ObjectChange, PushedDocument, Pushes, Put};
use knowledge::{KnowledgeError, SourceSpec};
use release::ArtifactName;

use crate::{DeliveryError, TenantDelivery};

impl TenantDelivery {
    /// The documents pushed to a knowledge base that takes them.
    async fn pushes(&self, name: &ArtifactName) -> Result<Pushes, DeliveryError> {
        let spec = self.knowledge_base(name).await?.value.spec;
        if !spec.sources.iter().any(|source| matches!(source, SourceSpec::Push(_))) {
            let (of, why) = (format!("knowledge base `{name}`"), "it has no source of kind `push`");
            return Err(KnowledgeError::Source { of, why: why.to_owned() }.into());
        }
        Ok(self.offered.pushes(&self.tenant, name)?)
    }

    /// Puts a document into a knowledge base, for its next refresh. When this returns it is durable.
    /// Whether anything changed.
    ///
    /// # Errors
    /// If the knowledge base is unknown or takes none, or it cannot be a document.
    pub async fn put_document(
        &self,
        name: &ArtifactName,
        put: Put,
    ) -> Result<(PushedDocument, bool), DeliveryError> {
        self.check_admitted(name, &put.path).await?;
        let by = (self.actor.clone(), self.clock.now());
        Ok(self.pushes(name).await?.put(put, by).await?)
    }

    /// Removes a document that was put. Whether it was there.
    ///
    /// # Errors
    /// If the knowledge base is unknown or takes none.
    pub async fn remove_document(
        &self,
        name: &ArtifactName,
        path: &str,
    ) -> Result<bool, DeliveryError> {
        let by = (self.actor.clone(), self.clock.now());
        Ok(self.pushes(name).await?.remove(path, by).await?)
    }

    /// The documents that were put into a knowledge base, a page at a time, after the path `after`.
    ///
    /// # Errors
    /// If the knowledge base is unknown or takes none.
    pub async fn pushed_documents(
        &self,
        name: &ArtifactName,
        after: Option<&str>,
    ) -> Result<Vec<PushedDocument>, DeliveryError> {
        Ok(self.pushes(name).await?.list(after).await?)
    }

    /// Which sources of a knowledge base read any of these objects.
    ///
    /// # Errors
    /// If the knowledge base is unknown.
    pub async fn concerned(
        &self,
        name: &ArtifactName,
        changes: &[ObjectChange],
    ) -> Result<Vec<String>, DeliveryError> {
        let spec = self.knowledge_base(name).await?.value.spec;
        let concerned = |source: &&SourceSpec| {
            changes.iter().any(|change| change.concerns(source, &self.offered, &self.tenant))
        };
        let concerned = spec.sources.iter().filter(concerned);
        Ok(concerned.map(|source| source.name().to_owned()).collect())
    }
}
