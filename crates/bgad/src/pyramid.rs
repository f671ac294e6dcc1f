//! The feature maps of one image, all levels together.

/// One level: a feature vector at each position of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureMap {
    /// Rows of the grid.
    pub height: usize,
    /// Columns of the grid.
    pub width: usize,
    /// Length of a feature vector.
    pub channels: usize,
    /// `[height, width, channels]`, row-major.
    pub hwc: Vec<f32>,
}

/// The feature maps of one image, the finest level first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pyramid {
    /// Strides 4, 8 and 16 of the image for the networks of [`crate::backbone`].
    pub levels: Vec<FeatureMap>,
}
