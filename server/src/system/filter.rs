//! Which servers a request is for: it may name some of their properties.

use super::body::Body;
use crate::monitor::About;

/// The filters of a request; what is empty fits every server.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    server_name: String,
    cluster: String,
    host: String,
    exact: bool,
    tags: Vec<String>,
    domain: String,
}

impl Filter {
    /// Reads them.
    pub fn from_body(body: &mut Body) -> Filter {
        Filter {
            server_name: body.filter_text("server_name"),
            cluster: body.filter_text("cluster"),
            host: body.filter_text("host"),
            exact: body.filter_boolean("exact_match"),
            tags: body.filter_texts("tags"),
            domain: body.filter_text("domain"),
        }
    }

    /// Whether this server is meant. It is in no cluster and in no domain.
    pub fn fits(&self, about: &About) -> bool {
        let fits = |wanted: &str, own: &str| {
            wanted.is_empty() || if self.exact { own == wanted } else { own.contains(wanted) }
        };
        let own_tags = &about.options.server_tags;
        fits(&self.server_name, &about.server_name)
            && fits(&self.host, &about.advertised.0)
            && fits(&self.cluster, "")
            && self.domain.is_empty()
            && self.tags.iter().all(|wanted| own_tags.iter().any(|own| own.eq_ignore_ascii_case(wanted)))
    }
}
